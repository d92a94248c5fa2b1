// @module-tag any-user
import { expect, test } from "vitest";
import { OwnDevice, VM_MOUNTS } from "../../../src/runtime/sandbox/mount-table.ts";
import { startVm } from "../../support/vm.ts";

test("at() finds the innermost place of a path", () => {
  const kindOf = (path: string) => VM_MOUNTS.at(path)?.kind;
  expect(kindOf("/proc")).toBe("kernel");
  expect(kindOf("/proc/1/stat")).toBe("kernel");
  expect(kindOf("/process")).toBe("own");
  expect(kindOf("/usr/bin")).toBe("host");
  expect(kindOf("/opt/agentos/bin")).toBe("server");
  expect(kindOf("/opt/other")).toBe("own");
  expect(kindOf("/home/user")).toBe("link");
  expect(kindOf("/")).toBe("own");
});

test("get() finds only paths that the table names", () => {
  expect(VM_MOUNTS.get("/tmp")).toEqual({ path: "/tmp", kind: "own", writable: true, kept: false });
  expect(VM_MOUNTS.get("/tmp/x")).toBeUndefined();
});

test("files of another device are read-only", () => {
  const own = new OwnDevice(7);
  expect(() => own.assertHolds(7, "/file")).not.toThrow();
  expect(() => own.assertHolds(8, "/file")).toThrow(expect.objectContaining({ code: "EROFS" }));
});

test.each(["kernel", "memory"] as const)(
  "a write to a read-only place is EROFS with the %s runtime",
  async (runtime) => {
    const { vm } = startVm({ runtime });
    const readOnly = [...VM_MOUNTS.paths("host", "kernel")].filter(
      (path) => VM_MOUNTS.get(path)?.writable === false,
    );
    expect(readOnly).toEqual(["/proc", "/sys", "/dev", "/usr"]);
    for (const path of readOnly) {
      await expect(vm.writeFile(`${path}/new`, ""), path).rejects.toMatchObject({ code: "EROFS" });
    }
    await vm.writeFile("/tmp/new", "");
  },
);
