"""What is trained: the LightningModule, and one file a documented variant."""

from lab.variants.inpainting_module import InpaintingModule, NonFiniteLossError, Optimization

__all__ = ["InpaintingModule", "NonFiniteLossError", "Optimization"]
