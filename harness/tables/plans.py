"""The plans of all protocols, and the cells of their tables, each worked out once."""

from __future__ import annotations

from harness.cell import Cell, Config
from harness.config import protocol_files
from harness.errors import ConfigError
from harness.protocols import check_files
from harness.records.plan import Plan
from harness.tables.layout import required_cells
from harness.tables.spec import AnySpec, check_methods, load_table, table_ids


class Plans:
    """What the tables ask under every protocol."""

    def __init__(self, config: Config) -> None:
        self.config = config
        check_files(config)
        self.protocols = list(protocol_files(config))
        self.tables = table_ids()
        self._plans: dict[str, Plan] = {}
        self._fits: dict[str, dict[str, Cell]] = {}
        self._specs: dict[str, AnySpec] = {}
        self._cells: dict[tuple[str, str], list[Cell]] = {}

    def plan(self, protocol: str) -> Plan:
        """Return the plan of a protocol."""
        if protocol not in self._plans:
            self._plans[protocol] = Plan.load(protocol, self.config)
        return self._plans[protocol]

    def spec(self, table: str) -> AnySpec:
        """Return a table's description."""
        if table not in self._specs:
            self._specs[table] = load_table(table)
        return self._specs[table]

    @property
    def all_tables(self) -> list[str]:
        """Return the tables that "all" means: those on request are only built by name."""
        return [name for name in self.tables if not self.spec(name).on_request]

    def cells(self, protocol: str, table: str) -> list[Cell]:
        """Return the cells of a table that a method is meant for and the protocol does not leave out."""
        if (protocol, table) not in self._cells:
            plan = self.plan(protocol)
            check_methods(self.spec(table), plan.methods)
            cells = [
                plan.cell(dataset, category, method, seed)
                for dataset, category, method in required_cells(plan, self.spec(table))
                for seed in plan.seeds(dataset, method)
            ]
            self._cells[protocol, table] = [cell for cell in cells if plan.applies(cell) and not plan.left_out(cell)]
        return self._cells[protocol, table]

    def fit(self, key: str) -> tuple[Plan, Cell]:
        """Return the plan and the cell that name a fit. Raises ConfigError where no table's cell has it today."""
        # Protocols that were asked for come first: the others' keys are mostly never needed.
        for protocol in sorted(self.protocols, key=lambda name: name not in self._plans):
            if key in self._fits_of(protocol):
                return self.plan(protocol), self._fits_of(protocol)[key]
        raise ConfigError(f"fit {key}: no table's cell has it under today's sources; name a target of results/")

    def cell_of(self, key: str) -> Cell | None:
        """Return the cell that names a fit; None where no table's cell has it under today's sources."""
        try:
            return self.fit(key)[1]
        except ConfigError:
            return None

    def _fits_of(self, protocol: str) -> dict[str, Cell]:
        """Return one cell per fit key of a protocol, over all tables.

        Of the methods that share a fit, the first of config/methods.yaml names it: another table or column must not
        change a fit's command, and so repeat it.
        """
        if protocol not in self._fits:
            plan = self.plan(protocol)
            fits = self._fits[protocol] = {}
            order = {method: number for number, method in enumerate(plan.methods)}
            cells = [cell for table in self.tables for cell in self.cells(protocol, table)]
            for cell in sorted(cells, key=lambda cell: order[cell.method]):
                fits.setdefault(plan.key(cell), cell)
        return self._fits[protocol]
