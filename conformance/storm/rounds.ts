/** How often, and with which numbers, the tests of this room do what they do. */
import { SEED } from '../lab/random.ts';

/** BRAID_ROUNDS chooses another: usual are so many as an impatient developer waits for. */
export const roundsOf = (usual: number): number => Number(process.env['BRAID_ROUNDS'] ?? usual);

/** What a title says, so that a failure can be had again. */
export const seeded = (rounds: number): string => `BRAID_ROUNDS=${rounds} BRAID_SEED=${SEED}`;
