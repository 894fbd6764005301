import type { Expectation } from '../../contract/expectation.ts';

export const EXAMPLES: Expectation = { runBy: 'vm', result: { interfaces: [{ name: 'eth0' }] } };
