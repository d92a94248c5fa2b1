/** One turn of a scripted model: tools to call, or the last text. */
export type Turn = { call: string; input: object } | { text: string };

/** Turns that call tools one after another, and then say `done`. */
export function turnsOf(...calls: [name: string, input: object][]): Turn[] {
  return [...calls.map(([call, input]) => ({ call, input })), { text: "done" }];
}
