"""cvc5 on SMT-LIB text from standard input, as a process that can be stopped."""

import sys

import cvc5


def main() -> None:
    """Print the answer to the last command."""
    solver = cvc5.Solver(cvc5.TermManager())
    solver.setLogic("QF_NRA")
    parser = cvc5.InputParser(solver)
    parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, sys.stdin.read(), "constraints")
    answer = ""
    while not (command := parser.nextCommand()).isNull():
        answer = str(command.invoke(solver, parser.getSymbolManager())).strip() or answer
    sys.stdout.write(answer)


if __name__ == "__main__":
    main()
