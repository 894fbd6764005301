/** How often, and with which numbers, tests of many rounds do what they do. */
import { SEED } from './random.ts';

/** `./scripts/test --thorough`, and continuous integration. */
const IS_THOROUGH = process.env['BRAID_THOROUGH'] === 'true' || process.env['CI'] === 'true';

/**
 * BRAID_ROUNDS chooses another number.
 *
 * @param usual as many as a developer waits for
 * @param thorough as many as prove it
 */
export const roundsOf = (usual: number, thorough: number): number =>
  Number(process.env['BRAID_ROUNDS'] ?? (IS_THOROUGH ? thorough : usual));

/** What a title says, so that a failure can be had again. */
export const seeded = (rounds: number): string => `BRAID_ROUNDS=${rounds} BRAID_SEED=${SEED}`;
