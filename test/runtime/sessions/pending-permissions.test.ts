// @module-tag attack
import { expect, test } from "vitest";
import { MAX_LISTED_PERMISSION_BYTES } from "../../../src/runtime/sessions/limits.ts";
import { Permissions } from "../../../src/runtime/sessions/permissions.ts";

/** Makes the permissions of a session whose requests nobody answers. */
function waiting(): Permissions {
  return new Permissions({
    state: { data: { sessionId: "s", options: {} } },
    log: { append: () => undefined, flushed: async () => undefined, turn: undefined },
    vm: { permissionTimeoutMs: 1e6, hasListeners: () => true, emit: () => undefined },
  } as unknown as ConstructorParameters<typeof Permissions>[0]);
}

test("a list of the waiting requests does not look at their params again, and lists the params that fit", () => {
  const permissions = waiting();
  let reads = 0;
  const text = "x".repeat(MAX_LISTED_PERMISSION_BYTES / 2 - 1000);
  const asked = [text, text + text + text, text, text].map((content) => {
    const rawInput = Object.defineProperty({}, "content", {
      enumerable: true,
      get() {
        reads += 1;
        return content;
      },
    });
    void permissions.request({ toolCall: { rawInput }, options: [] });
    return content;
  });
  const before = reads;
  const listed = permissions.pending.map(({ params }) => params !== undefined);
  expect(reads).toBe(before);
  expect(listed).toEqual([true, false, true, false]);
  expect(permissions.pending).toHaveLength(asked.length);
  permissions.cancel();
});
