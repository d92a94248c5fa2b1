import { constants } from "node:os";
import { expect, test } from "vitest";
import { isErrorCode, isPosixCode } from "../../src/api/error-codes.ts";
import { AgentVmError, receivedError } from "../../src/api/errors.ts";
import { codeOfErrno } from "../../src/runtime/sandbox/posix.ts";

test("a received error keeps a known code and its metadata", () => {
  expect(receivedError("ENOENT", "gone", { path: "/x" })).toMatchObject({
    code: "ENOENT",
    status: 404,
    metadata: { path: "/x" },
  });
});

test.each(["from_the_future", "EFUTURE", "constructor", "__proto__", ""])(
  "the unknown code %j becomes unknown_error and stays readable",
  (code) => {
    const error = receivedError(code, "text", { detail: 1 });
    expect(error).toMatchObject({ code: "unknown_error", status: 500, message: "text" });
    expect(error.metadata).toMatchObject({ code, detail: 1 });
  },
);

test("a hint in the metadata replaces the hint of the code", () => {
  expect(new AgentVmError("vm_stopped", "").metadata.hint).toBe("The next action boots the VM again.");
  expect(new AgentVmError("vm_stopped", "", { hint: "Wait." }).metadata.hint).toBe("Wait.");
});

test("every error number has a code, and an unlisted one is EIO", () => {
  for (const errno of Object.values(constants.errno)) expect(isPosixCode(codeOfErrno(errno))).toBe(true);
  expect(codeOfErrno(131)).toBe("EIO");
  expect(isErrorCode("ENOENT")).toBe(false);
});
