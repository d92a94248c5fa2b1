// @module-tag any-user
import { expect, test } from "vitest";
import { durableVm } from "../../support/durable-vm.ts";
import { until } from "../../support/until.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Lists a VM's own files with its tools, with times to ten microseconds. */
const LISTING = [
  "cd /",
  "find etc home workspace root var opt mnt -xdev \\( -path var/run -prune -o -printf '%y %m %p %l\\n' \\) | sort",
  "find etc home workspace root var opt mnt -xdev -type f -exec md5sum {} + | sort -k2",
  "find workspace -xdev -type f -printf '%T@ %p\\n' | sed 's/\\(\\.[0-9]\\{5\\}\\)[0-9]*/\\1/' | sort",
].join("; ");

test("a VM has its files again after a sleep", async () => {
  const machine = durableVm();
  const { stdout: setUp, stderr } = await machine.vm().exec(
    [
      "cd /workspace",
      "mkdir -p deep/er empty; chmod 700 empty; chmod 1777 deep",
      "printf 'some text' > deep/er/file; chmod 640 deep/er/file; touch -d '2020-01-02 03:04:05.678' deep/er/file",
      "head -c 700000 /dev/urandom > large; printf '#!/bin/sh\\necho ran' > run; chmod 4755 run",
      "ln -s deep/er/file link; ln -s /nowhere dangling; ln large hard",
      "printf 'x' > \"$(printf 'not utf8 \\377')\"; touch 'a b' '*'",
      "mkfifo fifo; echo scratch > /tmp/scratch; rm -r /srv; echo 'own line' >> /etc/hosts",
      // A time between two steps of ten microseconds, so that rounding cannot change the step.
      "find . -type f ! -name file -exec touch -d '2021-02-03 04:05:06.123455' {} +",
      LISTING,
    ].join("; "),
  );
  expect(stderr).toBe("");
  await machine.sleep();
  const { stdout } = await machine.vm().exec(`${LISTING}; /workspace/run`);
  expect(stdout).toBe(`${setUp.replace("p 644 workspace/fifo \n", "")}ran\n`);
  expect(await machine.vm().exists("/workspace/fifo")).toBe(false);
  expect(await machine.vm().exists("/srv")).toBe(false);
  expect(await machine.vm().readdir("/tmp")).toEqual([]);
  const { stdout: links } = await machine.vm().exec("stat -c %h large; echo more >> large; cmp large hard", {
    cwd: "/workspace",
  });
  expect(links).toBe("2\n");
  expect(text(await machine.vm().readFile("/etc/hosts"))).toContain("own line");
});

test("after many sleeps every file is there, and deleted files are not", {
  tags: ["slow"],
}, async () => {
  const machine = durableVm();
  for (let round = 0; round < 5; round++) {
    await machine.vm().exec(`echo ${round} > /workspace/${round}; rm -f /workspace/${round - 2}`);
    await machine.sleep();
  }
  expect(await machine.vm().readdir("/workspace")).toEqual(["3", "4"]);
});

test("a VM that sleeps stores a file that a daemon wrote after the last checkpoint", async () => {
  const machine = durableVm();
  const vm = machine.vm();
  await vm.exec("setsid sh -c 'sleep 3; echo late > /workspace/late; exec sleep 60' > /dev/null 2>&1 &");
  await vm.checkpoint();
  await until(
    async () => (await vm.exists("/workspace/late")) && (await vm.stat("/workspace/late")).size > 0,
  );
  await machine.sleep();
  expect(text(await machine.vm().readFile("/workspace/late"))).toBe("late\n");
});

test("a destroyed VM leaves nothing in its store", async () => {
  const machine = durableVm();
  await machine.vm().exec("echo 1 > /workspace/x");
  await machine.vm().dispose("destroy");
  expect(await machine.store.list("fs/")).toEqual([]);
});
