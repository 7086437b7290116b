"""bulk-trigger: every saved test of a release manifest, triggered once, at the API's own pace."""

__version__ = "0.1.0"
