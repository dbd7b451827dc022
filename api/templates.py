"""Names of the templates: the seam to `dashboards`."""

OVERVIEW = "console/overview.html"
PANEL = "console/_panel.html"
TIMELINE = "console/_timeline.html"
STATIONS = "console/stations.html"
STATIONS_FRAGMENT = "console/_stations.html"
STATION = "console/station.html"
STATION_FRAGMENT = "console/_station.html"
PUBLIC_STATION = "public/station.html"
WALL = "wall.html"
WALL_FRAGMENT = "_wall.html"
CONSOLE_FRAGMENTS = {
    "top": "console/_top.html",
    "incident": "console/_incident.html",
    "kpi": "console/_kpi.html",
    "alarms": "console/_alarms.html",
}
"""SSE event -> partial; each takes `view`."""
PUBLIC = "public/index.html"
PUBLIC_FRAGMENT = "public/_main.html"
PREVIEW = "preview/phone.html"
PREVIEW_FRAGMENT = "preview/_messages.html"
SIGN_IN = "signin.html"
INVITE = "invite.html"
ERROR = "error.html"
