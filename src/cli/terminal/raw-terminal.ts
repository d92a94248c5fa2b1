import process from "node:process";

/** Puts a terminal back after a program that has not done so: colours, cursor, mouse, bracketed paste. */
const RESET = "\x1b[0m\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l";
const LEAVE_ALTERNATE_SCREEN = "\x1b[?1049l";

/** This program's terminal while a program in a VM has it. */
export class RawTerminal {
  #end: (() => void) | undefined;
  #isOnAlternateScreen = false;

  /** Passes keys on one by one from now on. */
  open(handlers: { onKeys(data: Uint8Array): void; onResize(cols: number, rows: number): void }): void {
    const { stdin, stdout } = process;
    const resized = () => handlers.onResize(stdout.columns, stdout.rows);
    stdin.setRawMode(true);
    stdin.on("data", handlers.onKeys);
    stdout.on("resize", resized);
    this.#end = () => {
      stdin.off("data", handlers.onKeys);
      stdin.setRawMode(false);
      stdin.pause();
      stdout.off("resize", resized);
    };
  }

  /** Prints the program's output as it is. */
  print(data: Uint8Array): void {
    const text = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("latin1");
    const on = text.lastIndexOf("\x1b[?1049h");
    const off = text.lastIndexOf(LEAVE_ALTERNATE_SCREEN);
    if (on !== off) this.#isOnAlternateScreen = on > off;
    process.stdout.write(data);
  }

  close(): void {
    if (this.#end === undefined) return;
    this.#end();
    this.#end = undefined;
    process.stdout.write((this.#isOnAlternateScreen ? LEAVE_ALTERNATE_SCREEN : "") + RESET);
  }
}
