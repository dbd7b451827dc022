"""A browser that tells on every page: errors, policy violations, requests to anywhere else."""

from dataclasses import dataclass, field

from playwright.sync_api import BrowserContext, Page


@dataclass
class Person:
    """Somebody with a browser of their own."""

    context: BrowserContext
    base: str
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        """A page that is watched from its first request on."""
        page = self.context.new_page()
        page.on("console", lambda m: self.complaints.append(f"console: {m.text}") if m.type == "error" else None)
        page.on("pageerror", lambda e: self.complaints.append(f"script: {e}"))
        page.on(
            "request",
            lambda r: (
                self.complaints.append(f"left the box: {r.url}")
                if not r.url.startswith((self.base, "data:", "blob:"))
                else None
            ),
        )
        page.goto(path if path.startswith("http") else self.base + path)
        return page
