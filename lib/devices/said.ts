/** What is wrong, said once for as long as it is. */
export class Said {
  private readonly log: (line: string) => void;
  private said: ReadonlySet<string> = new Set();

  constructor(log: (line: string) => void) {
    this.log = log;
  }

  /** @param faults all that there are now */
  keep(faults: readonly string[]): void {
    for (const fault of new Set(faults)) {
      if (!this.said.has(fault)) {
        this.log(fault);
      }
    }
    this.said = new Set(faults);
  }
}
