"""A U²-Net written as its authors do, for tests of what reads such files."""


def published_names(network):
    """The network's tensors under the published names, by the rules of the original's file."""
    levels = {1: 7, 2: 6, 3: 5, 4: 4, 5: 4, 6: 4}
    named = {}
    for name, tensor in network.state_dict().items():
        parts = name.split(".")
        if parts[0] == "sides":
            named[f"side{int(parts[1]) + 1}.{parts[2]}"] = tensor
            continue
        if parts[0] == "fusion":
            named[f"outconv.{parts[1]}"] = tensor
            continue
        encoding = parts[0] == "encoder"
        stage = int(parts[1]) + 1 if encoding else 5 - int(parts[1])
        if parts[2] == "entry":
            level, rest = "in", parts[3:]
        elif parts[2] == "encoder":
            level, rest = int(parts[3]) + 1, parts[4:]
        else:
            level, rest = f"{levels[stage] - 1 - int(parts[3])}d", parts[4:]
        kind = "conv" if rest[0] == "0" else "bn"
        where = f"stage{stage}{'' if encoding else 'd'}.rebnconv{level}"
        named[f"{where}.{kind}_s1.{rest[1]}"] = tensor
    return named
