import assert from "node:assert/strict";
import { exec, page, prints, type Workload } from "./workload.ts";

/** Writes a package of Python with a program `tiny`. */
const TINY = `mkdir tiny; printf '%s\\n' '[project]' 'name = "tiny"' 'version = "1"' '[project.scripts]' 'tiny = "tiny:main"' \\
  '[build-system]' 'requires = ["setuptools"]' 'build-backend = "setuptools.build_meta"' > tiny/pyproject.toml
  echo 'def main(): print("tiny ok")' > tiny/tiny.py`;
const OFFLINE = "--no-index --no-build-isolation";

export const PYTHON: Workload[] = [
  {
    name: "pip",
    version: "python3 -m pip --version && python3 -c 'import setuptools, wheel'",
    packages: ["python3-pip", "python3-setuptools", "python3-wheel"],
    tried: "`pip install` of a local package: its program is in PATH",
    run: prints(`${TINY}; pip install ${OFFLINE} ./tiny > log 2>&1; tiny`, "tiny ok"),
  },
  {
    name: "venv",
    version: "python3 --version && python3 -c 'import ensurepip, setuptools, wheel'",
    packages: ["python3-venv", "python3-setuptools", "python3-wheel"],
    tried: "`python3 -m venv`, and pip in it",
    run: prints(
      `${TINY}; python3 -m venv --system-site-packages v && . v/bin/activate && pip install ${OFFLINE} ./tiny > log 2>&1
       command -v tiny; tiny`,
      "/workspace/v/bin/tiny\ntiny ok",
    ),
  },
  {
    name: "pipx",
    version: "pipx --version && python3 -c 'import setuptools, wheel'",
    packages: ["pipx", "python3-venv", "python3-setuptools", "python3-wheel"],
    tried: "`pipx install` of a local wheel: its program is in PATH",
    run: prints(
      `${TINY}; pip wheel ${OFFLINE} -w . ./tiny > log 2>&1; pipx install --pip-args=--no-index ./tiny-*.whl >> log 2>&1; tiny`,
      "tiny ok",
    ),
  },
  {
    name: "uv",
    version: "uv --version",
    packages: [],
    tried: "`uv tool install` of a local wheel: its program is in PATH",
    run: prints(
      `${TINY}; pip wheel ${OFFLINE} -w . ./tiny > log 2>&1; uv tool install --offline ./tiny-*.whl >> log 2>&1; tiny`,
      "tiny ok",
    ),
  },
  {
    name: "pytest",
    version: "python3 -m pytest --version",
    packages: ["python3-pytest"],
    tried: "A report of a test that passes and of a test that fails",
    run: prints(
      "printf 'def test_a(): assert 1\\ndef test_b(): assert 0\\n' > test_x.py; pytest -q | tail -1",
      /^1 failed, 1 passed/,
    ),
  },
  {
    name: "multiprocessing",
    version: "python3 --version",
    packages: [],
    tried: "A pool of Python processes, a semaphore, shared memory",
    run: prints(
      `cat > m.py <<'END'
import multiprocessing
from multiprocessing import shared_memory
if __name__ == "__main__":
    with multiprocessing.Pool(3) as pool: print(sum(pool.map(abs, range(-10, 1))))
    memory = shared_memory.SharedMemory(create=True, size=2**20); memory.buf[0] = 7; print(memory.buf[0])
    memory.close(); memory.unlink()
END
       python3 m.py`,
      "55\n7",
    ),
  },
  {
    name: "Jupyter",
    version: "python3 -c 'import nbclient, ipykernel' && jupyter notebook --version",
    packages: ["jupyter-notebook", "jupyter-nbconvert", "python3-ipykernel"],
    tried: "A notebook is executed with its output; the server shows its page",
    async run(vm) {
      const cell = {
        cell_type: "code",
        execution_count: null,
        metadata: {},
        outputs: [],
        source: "print(6 * 7)",
      };
      const notebook = { cells: [cell], metadata: {}, nbformat: 4, nbformat_minor: 4 };
      await vm.writeFile("/workspace/a.ipynb", JSON.stringify(notebook));
      const output = await exec(vm, "jupyter nbconvert --to markdown --execute --stdout a.ipynb 2> log");
      assert.match(output, /^ {4}42$/m);
      await vm.spawn("jupyter", ["notebook", "--no-browser", "--NotebookApp.token=", "--port=8888"], {
        cwd: "/workspace",
      });
      assert.match(await page(vm, 8888, "/tree"), /Jupyter/);
      assert.match(await page(vm, 8888, "/api/contents"), /a\.ipynb/);
    },
  },
  {
    name: "NumPy, pandas, Matplotlib",
    version:
      "python3 -c 'import numpy, pandas, matplotlib as m; print(numpy.__version__, pandas.__version__, m.__version__)'",
    packages: ["python3-numpy", "python3-pandas", "python3-matplotlib"],
    tried: "A table is grouped, a picture is drawn",
    run: prints(
      `cat > p.py <<'END'
import matplotlib, pandas, numpy
matplotlib.use("Agg")
import matplotlib.pyplot as plot
table = pandas.DataFrame({"k": ["a", "b", "a"], "v": numpy.arange(3)})
print(table.groupby("k").v.sum().to_dict())
table.plot(); plot.title("Größe"); plot.savefig("p.png")
END
       python3 p.py 2> log; file -b p.png | cut -d, -f1`,
      "{'a': 2, 'b': 1}\nPNG image data",
    ),
  },
];
