"""Density-based cluster validity, written from the paper (Moulavi, Jaskowiak, Campello, Zimek, Sander
2014), slowly: all pairs, float64, the sums of the all-points core distances in their logarithms.

Checked once by hand against hdbscan 0.8.44's validity_index (docs/algorithms.md, 11). Where the paper
is silent this does what that does: distances of 0 add nothing to a core distance, a tree without an
inner edge is as sparse as its longest edge. Equal weights are ordered by the places of their ends."""
import numpy as np


def core_distances(distance, dimension):
    """(sum of distance^-d / (n - 1))^(-1/d) of each row, over what is not 0 away."""
    away = np.where(distance > 0, distance, np.inf)
    logs = -dimension * np.log(away)
    top = logs.max(axis=1)
    with np.errstate(invalid="ignore"):
        total = top + np.log(np.exp(logs - top[:, None]).sum(axis=1))
    total = np.where(np.isfinite(top), total, np.inf)
    return np.exp((np.log(len(distance) - 1) - total) / dimension)


def spanning_tree(weight):
    """Kruskal over all pairs by (weight, smaller end, larger end): a list of (a, b, weight)."""
    a, b = np.triu_indices(len(weight), 1)
    group = np.arange(len(weight))
    edges = []
    for e in np.lexsort((b, a, weight[a, b])):
        if group[a[e]] != group[b[e]]:
            group[group == group[b[e]]] = group[a[e]]
            edges.append((a[e], b[e], weight[a[e], b[e]]))
    return edges


def reachability(distance, rows, columns):
    return np.maximum(distance, np.maximum(rows[:, None], columns[None, :]))


def inside(distance, core):
    """Which members are inner nodes of the tree, and the density sparseness."""
    edges = spanning_tree(reachability(distance, core, core))
    degree = np.bincount([end for edge in edges for end in edge[:2]], minlength=len(core))
    inner = degree > 1
    weights = [w for a, b, w in edges if inner[a] and inner[b]] or [w for _, _, w in edges]
    return inner if inner.any() else np.ones(len(core), bool), max(weights)


def validities(distance, clusters, dimension):
    """Of each cluster, nan for one of a single member; `distance` is over all rows."""
    found = np.full(len(clusters), np.nan)
    cores, sparseness = {}, {}
    for number, members in enumerate(clusters):
        if len(members) > 1:
            own = distance[np.ix_(members, members)]
            core = core_distances(own, dimension)
            inner, sparseness[number] = inside(own, core)
            cores[number] = np.array(members)[inner], core[inner]
    for number, (rows, core) in cores.items():
        others = [pair for n, pair in cores.items() if n != number]
        columns = np.concatenate([pair[0] for pair in others])
        apart = reachability(distance[np.ix_(rows, columns)], core,
                             np.concatenate([pair[1] for pair in others])).min()
        found[number] = (apart - sparseness[number]) / max(apart, sparseness[number])
    return found


def dbcv(found, clusters, items):
    """Weighted by size over all items: noise, and clusters of a single member, count 0."""
    return np.nansum(found * [len(members) for members in clusters]) / items
