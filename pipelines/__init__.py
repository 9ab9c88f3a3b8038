"""Where examples come from and how they become batches.

Read in this order: `config`, `features`, `sources/base`, `splits`, `order`,
`preprocessing`, `augmentation`, `feed`, `dataset`.
"""
