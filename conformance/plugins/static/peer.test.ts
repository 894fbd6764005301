/** static does what the Go plugin does, called by itself: as whoever asks it for addresses calls it. */
import { SEED } from '../../lab/random.ts';
import { Comparing } from '../../peers/peer-testing.ts';
import { staticCases } from './cases.ts';
import { DIFFERENCES } from './differences.ts';
import { randomStaticCases } from './random.ts';

const comparing = new Comparing('static', DIFFERENCES);

comparing.cases('static does what the Go plugin does:', staticCases());
comparing.cases(`static does what the Go plugin does, at random (BRAID_SEED=${SEED}):`, randomStaticCases());
comparing.meets(DIFFERENCES);
