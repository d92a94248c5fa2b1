// @module-tag any-user
import { expect, test } from "vitest";
import { DESCRIBE_TREE, hostTar, inHostTar, onHost } from "../../support/host-tar.ts";
import { testRows } from "../../support/rows.ts";
import { testFolder } from "../../support/temporary-folder.ts";
import { startVm } from "../../support/vm.ts";

/** Makes a tree with everything that an archive keeps. Times are whole microseconds, the precision of a checkpoint. */
const TREE = `
mkdir -p src/deep/deeper empty closed 'with space'
echo hello > src/main.ts
printf '' > src/none
head -c 3000000 /dev/zero | tr '\\0' x > src/deep/large
printf 'a\\0b' > src/deep/deeper/bytes
ln -s ../src/main.ts src/deep/link
ln -s /etc/passwd src/absolute
ln -s nowhere src/dangling
ln src/main.ts src/second-name
echo x > 'with space/grüße'
echo x > $'with space/latin-\\xe9'
long=$(printf 'n%.0s' $(seq 200)); mkdir "$long"; echo deep > "$long/$long"
ln -s "$long/$long" "$long/link"
echo run > run.sh; chmod 4751 run.sh; chmod 400 src/none
find . -exec touch -h -d '2021-03-04 05:06:07.123456' {} +
touch -d '1999-12-31 23:59:59' src/main.ts
touch -d '2090-01-01 00:00:00.5' src/none
chmod 555 closed; chmod 1777 empty
touch -d '2021-03-04 05:06:07.123456' .
`;

testRows([["posix"], ["gnu"]], 1)("imports a tree of the host's tar (%s) unchanged", async (format) => {
  const { vm } = startVm();
  const archive = hostTar(TREE, `--format=${format}`);
  const result = await vm.importTar(archive, "/workspace/tree");
  expect(result).toEqual({ files: 20, bytes: 3_000_022, skipped: 0 });
  const inside = await vm.exec(DESCRIBE_TREE, { cwd: "/workspace/tree" });
  expect(inside.stdout).toBe(inHostTar(archive, DESCRIBE_TREE));
  expect(
    (await vm.exec("find . ! -user agentos -o ! -group agentos", { cwd: "/workspace/tree" })).stdout,
  ).toBe("");
});

test("exports a tree unchanged for the host's tar", async () => {
  const { vm } = startVm();
  await vm.exec(`mkdir -p /workspace/tree && cd /workspace/tree && ${TREE.trim()}`);
  const inside = await vm.exec(DESCRIBE_TREE, { cwd: "/workspace/tree" });
  const archive = await vm.exportTar("/workspace/tree");
  expect(inHostTar(archive, DESCRIBE_TREE)).toBe(inside.stdout);
  expect(archive.length % 512).toBe(0);
});

test("a VM imports the export of another VM", { tags: ["slow"] }, async () => {
  const [from, to] = [startVm().vm, startVm().vm];
  await from.exec(`mkdir -p /workspace/tree && cd /workspace/tree && ${TREE.trim()}`);
  const before = await from.exec(DESCRIBE_TREE, { cwd: "/workspace/tree" });
  await to.importTar(await from.exportTar("/workspace/tree"), "/tmp/a/b");
  const after = await to.exec(DESCRIBE_TREE, { cwd: "/tmp/a/b" });
  expect(after.stdout).toBe(before.stdout);
});

test("a VM imports the whole tree of another VM", { tags: ["slow"] }, async () => {
  const [from, to] = [startVm().vm, startVm().vm];
  await from.exec("echo 1 > /workspace/a; mkdir /srv; echo 2 > /srv/b; echo 3 > /tmp/c; ln -s /srv ~/l");
  const { files } = await to.importTar(await from.exportTar());
  expect(files).toBeGreaterThan(30);
  expect((await to.exec("cat /workspace/a /srv/b ~/l/b; ls -A /tmp; id -un")).stdout).toBe(
    "1\n2\n2\nagentos\n",
  );
  // A time with nanoseconds may be off by one microsecond.
  const etc = async (vm: typeof to) =>
    (await vm.exec(DESCRIBE_TREE, { cwd: "/etc" })).stdout.replace(/ \d+\.\d+/g, "");
  expect(await etc(to)).toBe(await etc(from));
});

test("exports a single file and a single link", { tags: ["slow"] }, async () => {
  const { vm } = startVm();
  await vm.exec("echo one > /workspace/file; ln -s file /workspace/link");
  expect(inHostTar(await vm.exportTar("/workspace/file"), "ls -A; cat file")).toBe("file\none\n");
  expect(inHostTar(await vm.exportTar("/workspace/link"), "readlink link")).toBe("file\n");
});

test("imports a gzip archive", async () => {
  const { vm } = startVm();
  const folder = testFolder();
  onHost("mkdir t; echo packed > t/file; tar -czf t.tgz -C t .", folder);
  const archive = Buffer.from(onHost("base64 -w0 t.tgz", folder), "base64");
  await vm.importTar(archive, "/workspace");
  expect(Buffer.from(await vm.readFile("/workspace/file")).toString()).toBe("packed\n");
});

test("exportSnapshot leaves out excluded paths, and exportTar keeps them", { tags: ["slow"] }, async () => {
  const { vm } = startVm({ persistence: { exclude: ["/workspace/**/node_modules"] } });
  await vm.exec("mkdir -p /workspace/app/node_modules; touch /workspace/app/node_modules/x /tmp/y");
  const list = "find . -path './workspace/*node_modules*' -o -name y | sort";
  expect(inHostTar(await vm.exportSnapshot(), list)).toBe("");
  expect(inHostTar(await vm.exportTar(), list)).toBe(
    "./workspace/app/node_modules\n./workspace/app/node_modules/x\n",
  );
  expect(inHostTar(await vm.exportTar("/tmp"), list)).toBe("./y\n");
});
