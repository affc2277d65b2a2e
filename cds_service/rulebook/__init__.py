"""The rule language: YAML files in, evaluations and cards out. Pure, but for load.

Other rooms use what the rooms in here name in their ``__init__``, and ``load`` and
``watch``; nothing that stands deeper.
"""
