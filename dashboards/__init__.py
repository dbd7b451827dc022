"""What officers and residents see: templates, styles, scripts and the vendored parts they stand on."""
