import { SEED } from '../../lab/random.ts';
import { Comparing } from '../../peers/peer-testing.ts';
import { tuningCases } from './cases.ts';
import { DIFFERENCES } from './differences.ts';
import { randomTuningCases } from './random.ts';

const comparing = new Comparing('tuning', DIFFERENCES);

comparing.cases('tuning does what the Go plugin does:', tuningCases());
comparing.cases(`tuning does what the Go plugin does, at random (BRAID_SEED=${SEED}):`, randomTuningCases());
comparing.meets(DIFFERENCES);
