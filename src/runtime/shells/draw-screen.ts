import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";
import { limitExceeded } from "../../api/errors.ts";
import { Semaphore } from "../../base/semaphore.ts";
import {
  MAX_REPEATED_CELLS,
  MAX_SCREEN_BYTES,
  MAX_SCREEN_CELLS,
  SCREEN_LINES,
  SCREEN_TIMEOUT_MS,
} from "./limits.ts";
import { SCREEN_PROGRAM } from "./screen-program.ts";

/** Output of a terminal, or a change of its size. */
export type ScreenStep = { data: Uint8Array } | { cols: number; rows: number };

/** The screen of a terminal, without and with the lines above, as text that draws it. */
export interface DrawnScreen {
  screen: string;
  scrollback: string;
}

/** Milliseconds for a thread to start. On a busy machine it took more than the time to draw. */
const START_TIMEOUT_MS = 30_000;

/** Threads of this process that draw. */
const drawing = new Semaphore(2);

/**
 * Draws output of a terminal in a thread.
 *
 * @param size size of the terminal before the first step
 * @throws AgentVmError `limit_exceeded` for output that takes too long or too much memory to draw
 */
export async function drawScreen(
  size: { cols: number; rows: number },
  steps: readonly ScreenStep[],
): Promise<DrawnScreen> {
  const sizes = [size, ...steps.filter((step) => "cols" in step)];
  const widest = Math.max(...sizes.map(({ cols }) => cols));
  const cells = Math.max(...sizes.map(({ cols, rows }) => cols * rows));
  if (cells > MAX_SCREEN_CELLS)
    throw limitExceeded(
      { MAX_SCREEN_CELLS },
      `The terminal has ${cells} cells`,
      "Make the terminal smaller.",
    );
  const maxLines = Math.min(SCREEN_LINES, Math.floor((MAX_SCREEN_CELLS - cells) / widest));
  const task = { ...size, steps, maxLines, maxRepeats: MAX_REPEATED_CELLS };
  return await drawing.run(() => draw(task));
}

async function draw(task: object): Promise<DrawnScreen> {
  const require = createRequire(import.meta.url);
  const programs = {
    headless: require.resolve("@xterm/headless"),
    serialize: require.resolve("@xterm/addon-serialize"),
  };
  const worker = new Worker(SCREEN_PROGRAM, {
    eval: true,
    workerData: { ...task, ...programs },
    env: {},
    stdin: false,
    stdout: true,
    stderr: true,
    resourceLimits: { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 32 },
  });
  const tooMuch = () =>
    limitExceeded(
      { SCREEN_TIMEOUT_MS },
      "The output of the terminal takes too much work to draw",
      "Clear the terminal.",
    );
  const { promise, resolve, reject } = Promise.withResolvers<DrawnScreen>();
  let timer = setTimeout(() => reject(tooMuch()), START_TIMEOUT_MS);
  worker.on("message", (message: DrawnScreen | "ready") => {
    if (message !== "ready") return resolve(message);
    clearTimeout(timer);
    timer = setTimeout(() => reject(tooMuch()), SCREEN_TIMEOUT_MS);
  });
  // A thread that has used up its memory, or whose output the terminal cannot draw.
  worker.once("error", () => reject(tooMuch()));
  worker.once("exit", () => reject(tooMuch()));
  try {
    const drawn = await promise;
    const bytes = Math.max(drawn.screen.length, drawn.scrollback.length);
    if (bytes > MAX_SCREEN_BYTES)
      throw limitExceeded(
        { MAX_SCREEN_BYTES },
        "The screen of the terminal is too large",
        "Make the terminal smaller.",
      );
    return drawn;
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
}
