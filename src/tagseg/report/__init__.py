"""Report: pictures of what a training did to an image."""
