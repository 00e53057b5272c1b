"""Commands that turn downloads, folders and clips into data sets and evaluation sets.

Each is ``python -m data_prep.NAME SOURCE DEST``, and writes a folder that carries its own index or
manifest with hashes:

- ``places2``: an official Places2 archive, or the folder unpacked from it, into WebDataset shards;
- ``clean_plate``: a clip of one view into frames, masks of who moves, and what is behind;
- ``silhouettes``: masks of people into one file for ``lab.masks.Silhouettes``;
- ``evaluation_sets``: photos and masks into fixed pairs, counted by hole ratio;
- ``upscalers``: published FSRCNN and ESPCN graphs into files of tensors.
"""
