"""Model: ViT encoder with mask token and auxiliary layer, heads, the whole network, its teacher (METHOD §1)."""
