/** Pauses between looks at something that is to come about. */

const SHORTEST_MS = 20;
const LONGEST_MS = 500;
/** Who looks all the time holds up what it waits for, most of all where that is emulated. */
const SHARE_OF_WAIT = 0.05;

/** How long to wait before the next look, when it has taken so long already. */
export const pauseAfter = (waitedMs: number): number =>
  Math.min(Math.max(SHORTEST_MS, waitedMs * SHARE_OF_WAIT), LONGEST_MS);
