"""Image-level labels from the exports of annotation tools."""
