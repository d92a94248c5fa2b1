/** A recording in the format asciicast v2. */
export interface Cast {
  header: { version: number; width: number; height: number; timestamp?: number; command?: string };
  events: [number, string, string][];
}

/** Parses a recording as strictly as the format's description. @throws Error for anything else */
export function parseCast(text: string): Cast {
  if (!text.endsWith("\n")) throw new Error("The last line is not whole");
  const [first = "", ...lines] = text.slice(0, -1).split("\n");
  const header = JSON.parse(first) as Cast["header"];
  if (header.version !== 2) throw new Error(`Version ${header.version}`);
  for (const size of [header.width, header.height])
    if (!Number.isInteger(size) || size < 1) throw new Error(`Size ${size}`);
  let before = 0;
  const events = lines.map((line): Cast["events"][number] => {
    const event = JSON.parse(line) as unknown[];
    const [time, code, data, ...more] = event;
    if (typeof time !== "number" || time < before) throw new Error(`Time ${time} after ${before}`);
    if (!["o", "i", "m", "r"].includes(String(code))) throw new Error(`Code ${code}`);
    if (typeof data !== "string" || more.length > 0) throw new Error(`Event ${line}`);
    if (code === "r" && !/^\d+x\d+$/.test(data)) throw new Error(`Size ${data}`);
    before = time;
    return [time, String(code), data];
  });
  return { header, events };
}

/** The output of a recording. */
export const outputOf = ({ events }: Cast): string =>
  events.flatMap(([, code, data]) => (code === "o" ? [data] : [])).join("");
