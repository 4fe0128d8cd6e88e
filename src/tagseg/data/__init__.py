"""Images and image-level labels → two random views: one dataset type for every source, image reading, loaders."""
