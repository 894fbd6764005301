/** sbr does what the Go plugin does, called by itself on interfaces as other plugins leave them. */
import { SEED } from '../../lab/random.ts';
import { Comparing } from '../../peers/peer-testing.ts';
import { sbrCases } from './cases.ts';
import { DIFFERENCES } from './differences.ts';
import { randomSbrCases } from './random.ts';

const comparing = new Comparing('sbr', DIFFERENCES);

comparing.cases('sbr does what the Go plugin does:', sbrCases());
comparing.cases(`sbr does what the Go plugin does, at random (BRAID_SEED=${SEED}):`, randomSbrCases());
comparing.meets(DIFFERENCES);
