import { expect, test } from "vitest";
import { failure } from "../../support/until.ts";
import { startVm } from "../../support/vm.ts";

test("a VM without processes refuses all calls of sessions with not_supported", async () => {
  const { vm } = startVm({ runtime: "memory" });
  const calls = [() => vm.createSession("claude"), () => vm.listSessions(), () => vm.sendPrompt("x", "y")];
  for (const call of calls) {
    expect(await failure(call())).toMatchObject({ code: "not_supported" });
  }
});
