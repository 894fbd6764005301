import { writeSync } from 'node:fs';
import { isatty, ReadStream, WriteStream } from 'node:tty';

const STDIN = 0;
const STDOUT = 1;
const CONTROL_C = '\u0003';
const FALLBACK = [80, 24] as const;

/** Another screen, without a cursor; what was there before comes back. */
const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const TO_END_OF_LINE = '\u001b[K';
const TO_END_OF_SCREEN = '\u001b[J';

/** The terminal, for a program that shows a picture in place. Disposal gives it back as it was. */
export class Screen implements Disposable {
  private readonly input: ReadStream | undefined;
  private readonly output = new WriteStream(STDOUT);

  /** @param onKey hears of `q` and of control-C, which ends no program in this mode */
  constructor(onKey: () => void) {
    if (isatty(STDIN)) {
      this.input = new ReadStream(STDIN);
      this.input.setRawMode(true);
      this.input.on('data', (chunk: Buffer) => {
        const keys = chunk.toString('latin1');
        if (keys.includes('q') || keys.includes(CONTROL_C)) {
          onKey();
        }
      });
    }
    write(ENTER);
  }

  /** One write for each picture, over the one before: nothing flickers. */
  show(lines: readonly string[]): void {
    const [columns, rows] = this.size();
    const kept = lines.slice(0, rows).map((line) => `${line.slice(0, columns)}${TO_END_OF_LINE}`);
    write(`${HOME}${kept.join('\r\n')}${TO_END_OF_SCREEN}`);
  }

  [Symbol.dispose](): void {
    write(LEAVE);
    this.input?.setRawMode(false);
    this.input?.destroy();
    this.output.destroy();
  }

  private size(): readonly [number, number] {
    try {
      const [columns, rows] = this.output.getWindowSize();
      return columns > 0 && rows > 0 ? [columns, rows] : FALLBACK;
    } catch {
      return FALLBACK;
    }
  }
}

/** Whether standard output is a terminal. */
export const hasScreen = (): boolean => isatty(STDOUT);

/** A terminal that has gone, or does not take it all now, is no failure: the next picture is a whole one. */
function write(text: string): void {
  try {
    writeSync(STDOUT, text);
  } catch {
    // it is not read
  }
}
