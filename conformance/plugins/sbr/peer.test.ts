/** sbr does what the Go plugin does, called by itself on interfaces as other plugins leave them. */
import { Comparing } from '../../peers/peer-testing.ts';
import { sbrCases } from './cases.ts';
import { DIFFERENCES } from './differences.ts';

const comparing = new Comparing('sbr', DIFFERENCES);

comparing.cases('sbr does what the Go plugin does:', sbrCases());
comparing.meets(DIFFERENCES);
