"""HDBSCAN* written from the papers, slowly: dense distances, Prim, equal weights contracted.

Campello, Moulavi, Zimek, Sander (2015): core distance (the point counts itself), mutual reachability,
condensed tree, excess of mass, GLOSH. Malzer, Baum (2020): epsilon. Everything is float64, sums are
in any order; the program under test is float32 in its distances, so a difference can come from a
rounding that makes or splits a tie, and from nowhere else.
"""
import numpy as np


def core_distances(distance, min_samples):
    return np.partition(distance, min_samples - 1, axis=1)[:, min_samples - 1]


def spanning_tree(distance, core):
    """Prim over the dense matrix; edges (weight, a, b)."""
    count = len(core)
    best = np.full(count, np.inf)
    source = np.zeros(count, dtype=np.int64)
    outside = np.ones(count, dtype=bool)
    edges = np.empty((count - 1, 3))
    here = 0
    for step in range(count - 1):
        outside[here] = False
        reach = np.maximum(np.maximum(distance[here], core), core[here])
        nearer = outside & (reach < best)
        best[nearer] = reach[nearer]
        source[nearer] = here
        there = int(np.argmin(np.where(outside, best, np.inf)))
        edges[step] = best[there], source[there], there
        here = there
    return edges[np.argsort(edges[:, 0], kind="stable")]


class Node:
    """A set of points that meet at `distance`: as many children as sets met."""

    def __init__(self, distance, children):
        self.distance = distance
        self.children = children
        self.points = [point for child in children for point in child.points]


class Leaf:
    def __init__(self, point):
        self.points = [point]


def contracted_tree(edges, count):
    top = {point: Leaf(point) for point in range(count)}
    parent = list(range(count))

    def find(point):
        while parent[point] != point:
            parent[point] = parent[parent[point]]
            point = parent[point]
        return point

    begin = 0
    while begin < len(edges):
        end = begin
        while end < len(edges) and edges[end, 0] == edges[begin, 0]:
            end += 1
        group = [(find(int(a)), find(int(b))) for _, a, b in edges[begin:end]]
        met = sorted({root for pair in group for root in pair})
        for a, b in group:
            parent[find(a)] = find(b)
        together = {}
        for root in met:
            together.setdefault(find(root), []).append(top.pop(root))
        for root, children in together.items():
            top[root] = Node(edges[begin, 0], children)
        begin = end
    (root,) = top.values()
    return root


class Cluster:
    def __init__(self, parent, birth, size):
        self.parent, self.birth, self.size = parent, birth, size
        self.children, self.leaving = [], []  # leaving: (point, lambda)

    def death(self):
        lambdas = [value for _, value in self.leaving] + [c.birth for c in self.children]
        return max(lambdas, default=0.0)

    def stability(self):
        own = sum(value - self.birth for _, value in self.leaving)
        return own + sum((c.birth - self.birth) * c.size for c in self.children)

    def below(self):
        found = []
        for child in self.children:
            found += [child] + child.below()
        return found


def condensed_tree(root, min_cluster_size):
    """The root cluster."""
    first = Cluster(None, 0.0, len(root.points))
    waiting = [(root, first)]
    while waiting:
        node, cluster = waiting.pop()
        lambda_ = 1 / node.distance if node.distance > 0 else np.inf
        big = [child for child in node.children if len(child.points) >= min_cluster_size]
        for child in node.children:
            if len(child.points) < min_cluster_size:
                cluster.leaving += [(point, lambda_) for point in child.points]
            elif len(big) == 1:
                waiting.append((child, cluster))
            else:
                born = Cluster(cluster, lambda_, len(child.points))
                cluster.children.append(born)
                waiting.append((child, born))
    return first


def excess_of_mass(cluster, is_root=True):
    """(what the best choice inside is worth, that choice); the root itself is never chosen."""
    worth, chosen = 0.0, []
    for child in cluster.children:
        child_worth, child_chosen = excess_of_mass(child, False)
        worth += child_worth
        chosen += child_chosen
    own = cluster.stability()
    if is_root or worth > own:
        return worth, chosen
    return own, [cluster]


def leaves(cluster):
    return [c for c in cluster.below() if not c.children]


def widened(chosen, root, epsilon):
    result = []
    for cluster in chosen:
        while 1 / cluster.birth < epsilon and cluster.parent is not root:
            cluster = cluster.parent
            if 1 / cluster.birth > epsilon:
                break
        if cluster not in result:
            result.append(cluster)
    return [c for c in result if not any(c in other.below() for other in result)]


def deepest(cluster):
    return max([cluster.death()] + [c.death() for c in cluster.below()])


def hdbscan(distance, min_cluster_size, min_samples, method="eom", epsilon=0.0, edges=None):
    """labels, strengths, outlier scores. `edges`: a spanning tree that is known already."""
    count = len(distance)
    if edges is None:
        edges = spanning_tree(distance, core_distances(distance, min_samples))
    root = condensed_tree(contracted_tree(edges, count), min_cluster_size)
    chosen = excess_of_mass(root)[1] if method == "eom" else leaves(root)
    if epsilon > 0:
        chosen = widened(chosen, root, epsilon)
    labels = np.full(count, -1)
    strength, outlier = np.zeros(count), np.zeros(count)
    for number, cluster in enumerate(chosen):
        death = cluster.death()
        for inside in [cluster] + cluster.below():
            for point, lambda_ in inside.leaving:
                labels[point] = number
                plain = death == 0 or np.isinf(lambda_)
                strength[point] = 1.0 if plain else min(lambda_, death) / death
    for cluster in [root] + root.below():
        most = deepest(cluster)
        for point, lambda_ in cluster.leaving:
            if most > 0 and not np.isinf(lambda_):
                outlier[point] = 1.0 - lambda_ / most
    return labels, strength, outlier


def ties(edges):
    """How many edges of the tree weigh what another one weighs."""
    _, counts = np.unique(edges[:, 0], return_counts=True)
    return int(counts[counts > 1].sum())
