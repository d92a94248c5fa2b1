/**
 * Program of a worker thread that draws output of a terminal on a headless terminal and serializes the result. A VM chooses
 * the output, so the thread has a time limit and a memory limit, and ignores sequences that would repeat something too often.
 * It is text because a thread of a bundled server has no file of its own.
 */
export const SCREEN_PROGRAM = String.raw`
const { parentPort, workerData } = require("node:worker_threads");
const { Terminal } = require(workerData.headless);
const { SerializeAddon } = require(workerData.serialize);
const { cols, rows, steps, maxLines, maxRepeats } = workerData;

const terminal = new Terminal({ cols, rows, scrollback: maxLines, allowProposedApi: true, logLevel: "off" });
const addon = new SerializeAddon();
terminal.loadAddon(addon);
// A program may ask to repeat something two thousand million times.
for (const final of ["@", "A", "B", "E", "F", "I", "L", "M", "P", "S", "T", "X", "Z", "b"])
  terminal.parser.registerCsiHandler({ final }, (params) => Number(params[0]) > maxRepeats);
for (const final of ["@", "A"])
  terminal.parser.registerCsiHandler({ intermediates: " ", final }, (params) => Number(params[0]) > maxRepeats);
for (const final of ["}", "~"])
  terminal.parser.registerCsiHandler({ intermediates: "'", final }, (params) => Number(params[0]) > maxRepeats);

parentPort.postMessage("ready");
const write = (data) => new Promise((resolve) => terminal.write(data, resolve));

/** What the serializer leaves out: the encoding of mouse events, a hidden cursor and the scroll region. */
function rest() {
  const core = terminal._core;
  const encoding = { SGR: "\x1b[?1006h", SGR_PIXELS: "\x1b[?1016h" }[core?.coreMouseService?.activeEncoding] ?? "";
  const hidden = core?.coreService?.isCursorHidden ? "\x1b[?25l" : "";
  const { scrollTop = 0, scrollBottom = rows - 1, x = 0, y = 0 } = core?.buffer ?? {};
  const whole = scrollTop === 0 && scrollBottom === terminal.rows - 1;
  const region = whole || terminal.modes.originMode
    ? ""
    : "\x1b[" + (scrollTop + 1) + ";" + (scrollBottom + 1) + "r\x1b[" + (y + 1) + ";" + (x + 1) + "H";
  return region + encoding + hidden;
}

(async () => {
  for (const step of steps) {
    if (step.data !== undefined) await write(step.data);
    else terminal.resize(step.cols, step.rows);
  }
  const draw = (scrollback) => "\x1bc" + addon.serialize({ scrollback }) + rest();
  parentPort.postMessage({ screen: draw(0), scrollback: draw(maxLines) });
})();
`;
