import { expect, test } from "vitest";
import { fileText } from "../../src/console/pages/changes/file-text.ts";
import { pairWith } from "../../src/console/pages/changes/pair.ts";
import { durableVm } from "../support/durable-vm.ts";

test("a snapshot is compared with the newest other one, the earlier first", () => {
  const [old, middle, last] = [{ id: "old" }, { id: "middle" }, { id: "last" }];
  expect(pairWith([old, middle, last], "old")).toEqual({ from: "old", to: "last" });
  expect(pairWith([old, middle, last], "last")).toEqual({ from: "middle", to: "last" });
  expect(pairWith([old], "old")).toBeUndefined();
});

test("a link is shown as a link on both sides, and never as the file to which it leads", async () => {
  const machine = durableVm();
  await machine.vm().exec("echo text > file; ln -s file link; ln -s nowhere dangling", { cwd: "/workspace" });
  const { id } = await machine.vm().createSnapshot();
  const read = async (side: { snapshot: string } | "now", name: string) =>
    await fileText(machine.vm() as never, side, `/workspace/${name}`);
  expect(await read({ snapshot: id }, "link")).toEqual({ text: "", note: "A link to file." });
  for (const name of ["link", "dangling"])
    expect(await read("now", name)).toEqual({ text: "", note: "A link." });
  expect(await read("now", "missing")).toEqual({ text: "" });
});
