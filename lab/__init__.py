"""The workbench for background inpainting: take a person out, restore, measure."""
