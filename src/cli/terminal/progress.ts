import process from "node:process";
import { shownBytes } from "../shown.ts";

/** Reports the progress of a transfer. */
export interface Progress {
  /** @param total `null` if nobody knows it */
  at(transferred: number, total: number | null): void;
  end(message: string): void;
  fail(): void;
}

/** Bytes below which a transfer shows no progress. */
const SHOWN_FROM = 4 * 1024 * 1024;

const SILENT: Progress = { at: () => undefined, end: () => undefined, fail: () => undefined };

/** Shows a bar on stderr while bytes move. A script sees nothing. */
export async function showProgress(title: string, isQuiet: boolean): Promise<Progress> {
  if (isQuiet || !process.stderr.isTTY) return SILENT;
  const { progress } = await import("@clack/prompts");
  let bar: ReturnType<typeof progress> | undefined;
  let percent = 0;
  return {
    at(transferred, total) {
      if ((total ?? transferred) < SHOWN_FROM) return;
      if (bar === undefined) {
        bar = progress({ max: 100, output: process.stderr });
        bar.start(title);
      }
      const next = total === null ? 0 : Math.floor((100 * transferred) / Math.max(1, total));
      const of = total === null ? "" : ` of ${shownBytes(total)}`;
      bar.advance(Math.max(0, next - percent), `${title} ${shownBytes(transferred)}${of}`);
      percent = Math.max(percent, next);
    },
    end: (message) => bar?.stop(message),
    fail: () => bar?.error(title),
  };
}
