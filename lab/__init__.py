"""The workbench for background inpainting: take a person out, restore what was hidden, measure it."""
