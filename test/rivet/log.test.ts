import { expect, test } from "vitest";
import { createLogger } from "../../src/http/logger.ts";
import { rivetLogger } from "../../src/rivet/log.ts";

const SECRET = "s3cr3t";

function logs(level: string) {
  const lines: string[] = [];
  const logger = createLogger("trace", { write: (line) => void lines.push(line) });
  const rivet = rivetLogger(logger, { level, isVm: (name) => name === "vm" });
  return { lines, rivet, entries: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

test("RivetKit's own entries are off below their level, and routine errors always", () => {
  const { lines, rivet } = logs("error");
  const actor = rivet.child({ target: "actor-runtime", actor: "vm" });
  for (const log of [rivet, actor]) {
    log.debug({ msg: "action", args: [SECRET] });
    log.warn({ msg: "unhandled action promise rejection", reason: {} });
    log.error({ msg: "action error" });
  }
  expect(lines).toEqual([]);
});

test("RivetKit's own entries lose everything that clients send", () => {
  const { lines, rivet, entries } = logs("trace");
  const actor = rivet.child({ target: "actor", actor: "vm", key: `["${SECRET}"]`, actorId: "a1" });
  actor.debug({
    msg: "action",
    actionName: "exec",
    args: [SECRET],
    url: `/gateway/x@${SECRET}`,
    status: 200,
  });
  actor.error({ msg: "failed", error: SECRET });
  actor.warn({ msg: "unhandled action promise rejection", reason: {} });
  actor.trace({ msg: "name", name: SECRET, actionName: `${SECRET} with a space` });
  expect(lines.join("")).not.toContain(SECRET);
  expect(entries()[0]).toMatchObject({ target: "actor", actorId: "a1", actionName: "exec", status: 200 });
  for (const entry of entries().slice(1, 3)) {
    expect(entry).toMatchObject({ err: { message: entry.msg, stack: expect.stringMatching(/\n {4}at /) } });
  }
});

test("entries of the code of other actors pass as they are", () => {
  const { rivet, entries } = logs("error");
  rivet.child({ target: "actor", actor: "counter" }).info({ msg: "counted", count: 3 });
  rivet.child({ target: "actor-runtime", actor: "counter" }).info({ msg: "noise" });
  expect(entries()).toMatchObject([{ level: 30, actor: "counter", msg: "counted", count: 3 }]);
});
