import type { Expectation } from '../../contract/expectation.ts';

/** They need cards: conformance/vm/sriov.test.ts runs them. */
export const EXAMPLES: Expectation = { runBy: 'vm' };
