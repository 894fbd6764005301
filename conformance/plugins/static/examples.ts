import type { Expectation } from '../../contract/expectation.ts';

export const EXAMPLES: Expectation = { result: { interfaces: [{ name: 'eth0' }] } };
