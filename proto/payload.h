/* payload.h - what each payload holds: one list of kinds, columns and shapes.
 *
 * Words: a *slot* is a position in the plan's order, 0 .. n-1 over all partitions; `rows[slot]` is
 * the position in the index. Slots of a partition are successive and sorted by (day, vector_id)
 * when the job has a window, by vector_id otherwise (ids compared as bytes), so that no result
 * depends on the order of the index's rows. Every "smaller row" of DESIGN 1 is a smaller slot.
 * d2 is the canonical dist2 (common/dist2.h).
 *
 * kind "plan"      rows u32[n]; day i32[n] (only with a window; DAY_NONE never stands beside a
 *                  window: undated rows form partitions without one); partition_begin u32[P+1];
 *                  partition_window i32[P] (days either way, -1 none); partition_name strings[P];
 *                  dimension u32[1]
 * kind "stage"     see stage.h
 * kind "rotation"  result of the `rotate` task: width u32[2] (numbers of the head, of a whole code:
 *                  h <= w, multiples of 64); basis f32[w*d]; offset f32[w]; scale f64[1]; stretch
 *                  f64[1] (worker/compute/codes.h); cell f32[c*h]; of fine cells, those of one
 *                  cell together: fine_begin u32[c+1], fine f32[F*h]
 * kind "coded"     result of an `encode` task; q = slots of its segments, in order: code u8[q*w]
 *                  (int8), residual_head f32[q], residual f32[q], cell u32[q] (the fine one)
 * kind "codes"     all of them by *place*: width u32[2], scale f64[1], stretch f64[1], code u8[n*w],
 *                  residual_head f32[n], residual f32[n] (INFINITY: no code)
 * kind "order"     slot u32[n]: the slot at each place. A partition has the same range of places as
 *                  of slots; without a window those of one fine cell stand together
 * kind "bounds"    result of a `near` task: bound f32[q] (d2 of the k-th neighbour is no larger)
 * kind "near"      those of all places: bound f32[n], INFINITY nothing is known
 * kind "knn_part"  result of a `knn` task with codes. Its segments come in twos, rows and columns of
 *                  one partition that begin with the rows or after them; row i meets the columns
 *                  behind it. q = for each two, the rows and then the columns that are no rows:
 *                  count u32[q] (at most k), neighbour u32[sum] (slots), d2 f32[sum]: the nearest of
 *                  what a place met, as far as they are within its bound, sorted by (d2, slot). The
 *                  k best of all parts are the neighbours
 * kind "knn"       result of a `knn` task without codes; q = slots of its segments, in order:
 *                  neighbour u32[q*k] (slots, UINT32_MAX pads), d2 f32[q*k] (INFINITY pads), each
 *                  row sorted by (d2, slot), the row itself not among them
 * kind "probes"    input of `probe`: cell_begin u32[C+1], member u32[] (slots of a cell; cells are
 *                  numbered as "centres"); group_begin u32[G+1], row u32[]: slots that search, those
 *                  of a group of one partition
 * kind "probed"    result of a `probe` task; q = the rows of its groups: as "knn", of what was
 *                  searched; searched u32[q], cells; without a margin excess f32[q*k]: how much
 *                  farther than that of its own cell the centre of a neighbour's cell is from a row
 *                  (d2; INFINITY pads)
 * kind "reach_in"  input of a reach round, sorted by slot: query u32[Q]; core f32[n] (d2 of the
 *                  min_samples-th neighbour, the point counted; INFINITY when there are too few);
 *                  component u32[n]; floor f32[Q] (weight of the best edge known to the query's
 *                  component, INFINITY none: nothing heavier matters)
 * kind "decay"     input of `knn`, `near`, `reach` and `verify` where the job has one: factor f64[m] of the
 *                  similarity by days apart (0 beyond); every d2 is then pair_decayed()
 * kind "edges"     result of a `reach` task; one entry a query of its segments that found an edge
 *                  at or below its floor: a u32[E] (the query slot), b u32[E], weight f32[E]
 *                  (mutual reachability as d2 = max(core_a, core_b, d2(a,b))). Of a `verify` task:
 *                  the edges, a < b, sorted by (weight, a, b), that the lightest forest of its tree
 *                  and of all pairs it met has and the tree has not
 * kind "tree"      input of `verify`: the lightest forest of all known edges, sorted by (weight, a,
 *                  b): a u32[E] < b u32[E], weight f32[E]; core f32[n]; bound f32[n]: an edge of a
 *                  slot that is in no list weighs no less, INFINITY when all are in one
 * kind "seeds"     result of a `seed` task, for each partition of it in order: centre_slot u32[]
 * kind "centres"   centre f32[K*d] for all partitions together, centre_begin u32[P+1]
 * kind "assign"    result of an `assign` task: label u32[q] (centre number within its partition),
 *                  d2 f32[q]; touched u32[t] (global centre numbers, ascending), sum f64[t*d],
 *                  count u32[t]
 * kind "assigned"  label u32[n] of the round before: where the search for the nearest centre begins
 * kind "merges"    result of a `linkage` task, and what the outcome keeps of all partitions together:
 *                  merge_begin u32[s+1] (of each segment, in order; of each partition); a u32[m] <
 *                  b u32[m], the smallest slots of the two clusters that join; distance f64[m], in
 *                  the metric; each segment's sorted by (distance, a, b). Fewer than size - 1: what
 *                  is left stays apart (windows)
 * kind "weight"    input of `pairs` (pair_weight.h): floor f64[1]; factor f64[n] by days apart, n = 0
 *                  when days do not matter; with shape u32[2] (steps, days a row) rows of steps + 1
 * kind "pairs"     result of a `pairs` task, and all of them together (an input of `linkage` too): a u32[m] < b u32[m] (slots of
 *                  one partition), d2 f32[m]; sorted by (a, b)
 * kind "pair_counts"  result of a `pairs` task that only counts: rows u64[1] that were looked at;
 *                  bin u64[PAIR_BINS] pairs of theirs by weight (pair_bin), each row with all others
 * kind "members"   input of `summarise`: cluster_begin u32[C+1], member u32[M] (slots, ascending in
 *                  a cluster)
 * kind "summary"   result of a `summarise` task over clusters [begin, end): centroid f32[c*d] (mean,
 *                  scaled to unit length; zeros when the mean is zero), similarity_mean f64[c]
 *                  (average pairwise cosine (|sum|^2 - sum|x|^2) / (n(n-1)); 1 for a single member),
 *                  similarity f32[m] (of each member to the centroid, dot product, members in order),
 *                  typical u32[c*TYPICAL_COUNT] (slots by falling similarity, then slot; UINT32_MAX
 *                  pads)
 * kind "sample"    input of `silhouette`: slot u32[s], cluster u32[s] that each is a member of
 * kind "centroids" input of `silhouette` instead of a sample: centroid f32[C*d], those of "summary"
 * kind "simplified" result of such a task: sum f64[c], the simplified silhouettes of each cluster's
 *                  members added up
 * kind "silhouette" result of a `silhouette` task over clusters [begin, end): own f64[s], the mean
 *                  distance, in the metric, of each of the sample to the others of its cluster (-1
 *                  when that is not of the task, or has no others); other f64[s], the least mean
 *                  distance to the members of another cluster of the task (INFINITY none)
 * kind "density"   result of a `density` task over clusters [begin, end): core f32[m] (the all-points
 *                  core distance as d2, members in order), inner u8[m] (1: an inner node of the
 *                  cluster's spanning tree), sparseness f32[c] (d2; 0 for a single member)
 * kind "reach_in"  of `separation` is the same of the inner nodes alone, whose "plan" has no windows
 *                  and one partition: component is their cluster; sparseness f32[C] beside them, of
 *                  all clusters, is not for tasks. The result is "edges"
 * kind "validity"  dbcv f64[C] of each cluster, NaN for a single member
 * kind "labels"    end of clustering: label i32[n] (cluster number over all partitions, -1 noise),
 *                  strength f32[n], outlier f32[n] (GLOSH; 0 but for hdbscan), cluster_partition u32[C],
 *                  persistence f64[C] (stability; 0 for
 *                  k-means; agglomerative: dendrogram.h)
 */
#ifndef STAGE4_PROTO_PAYLOAD_H
#define STAGE4_PROTO_PAYLOAD_H

#define TYPICAL_COUNT 5
#define SLOT_NONE UINT32_MAX

#endif
