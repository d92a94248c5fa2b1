# Runs cells of Python and keeps their variables. Each line of stdin is a cell, each line of stdout its result, both as JSON.
import ast, contextlib, io, json, os, sys, traceback

results = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
variables = {"__name__": "__main__"}


def run(code):
    body = ast.parse(code, "cell").body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "cell", "exec"), variables)
    return None if last is None else eval(compile(ast.Expression(last.value), "cell", "eval"), variables)


for line in sys.stdin:
    printed, value, error = io.StringIO(), None, None
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            value = run(json.loads(line)["code"])
        except BaseException:
            error = traceback.format_exc(limit=0).strip()
    result = {"printed": printed.getvalue(), "value": None if value is None else repr(value), "error": error}
    print(json.dumps(result), file=results, flush=True)
