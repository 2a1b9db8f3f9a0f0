/* outcome.h - the end of clustering, as the writer takes it: names of payloads in the spool.
 *
 * The state that advance() gives with last = 1 is a columns payload of kind "outcome":
 *   plan u8[32], labels u8[32], members u8[32]     SHA-256 of those payloads
 *   summary u8[32*S]                               of the summary payloads, in task order
 *   segment_begin u32[S+1]                         summary s covers clusters [begin, end)
 *   validity u8[32]                                where the job has measured it: kind "validity"
 *   side u8[32*E]                                  of what the writer makes a file of its own from
 *           beside the clusters: agglomerative: one, "merges"; pairs: one, "pairs"; others: none
 *   index_fingerprint u8[32], metadata_fingerprint u8[32]
 *   report: strings, one: JSON object with what planning and clustering found (rows, left out by
 *           problem kind, first 100 problems, partitions, undated, mst_weight, rounds, iterations)
 * Cluster numbers are those of "labels" and "members": by partition, then size falling, then
 * smallest slot. */
#ifndef STAGE4_COORDINATOR_MERGE_OUTCOME_H
#define STAGE4_COORDINATOR_MERGE_OUTCOME_H
#endif
