"""Tables from CSV and Parquet: the same rows, kinds told apart, mistakes named."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import tensorflow as tf

from base.errors import UserError
from pipelines import tables
from pipelines.config import DataConfig
from pipelines.dataset import Dataset, open_dataset, open_whole
from pipelines.features import (
    Boolean,
    Category,
    Date,
    ExampleSpec,
    Number,
    Table,
    TableColumn,
    Values,
)
from pipelines.order import Order

PASSENGERS = """\
survived,age,fare,alone,port,name
0,22,7.25,false,S,Owen
1,38,71.28,true,C,Florence
1,,7.92,true,S,"Laina, Miss"
0,35,,false,,William
"""


def write_passengers(folder: Path, copies: int = 10) -> dict[str, str]:
    """The same rows as CSV and as Parquet; each copy is a little older."""
    generator = np.random.default_rng(0)
    header, *rows = PASSENGERS.splitlines()
    lines = [header]
    for copy in range(copies):
        for row in rows:
            survived, age, rest = row.split(",", 2)
            older = str(int(age) + copy) if age else ""
            fare, rest = rest.split(",", 1)
            fare = f"{float(fare) + generator.random():.3f}" if fare else ""
            lines.append(f"{survived},{older},{fare},{rest}")
    path = folder / "passengers.csv"
    path.write_text("\n".join(lines) + "\n")
    options = pa.csv.ConvertOptions(strings_can_be_null=True)
    table = pa.csv.read_csv(path, convert_options=options)
    pa.parquet.write_table(table, folder / "passengers.parquet")
    return {suffix: str(path.with_suffix(suffix)) for suffix in (".csv", ".parquet")}


class TableTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.get_temp_dir())

    def _open(self, path: str, target: str | None = "survived") -> Dataset:
        return open_dataset(
            DataConfig(dataset=path, target=target, batch_size=4, split="0.5,0.25,0.25")
        )

    def _assert_refused(
        self, text: str, message: str, target: str | None = "y", suffix: str = "csv"
    ) -> None:
        path = self.folder / f"wrong.{suffix}"
        path.write_text(text)
        with self.assertRaisesRegex(UserError, message) as caught:
            self._open(str(path), target)
        self.assertNotIn("\n", str(caught.exception))

    def test_csv_and_parquet_give_the_same_batches(self) -> None:
        found = []
        for path in write_passengers(self.folder).values():
            dataset = self._open(path)
            feed = dataset.training(Order(20, 4, seed=1))
            self.assertTrue(feed.resident)
            found.append((dataset, feed.batch(3)))
        (csv, batch), (parquet, other) = found
        self.assertEqual(csv.features, parquet.features)
        self.assertEqual(csv.summary()["splits"], parquet.summary()["splits"])
        for part, other_part in zip(
            tf.nest.flatten(batch), tf.nest.flatten(other), strict=True
        ):
            self.assertAllEqual(part, other_part)

    def test_columns_are_told_apart_and_missing_values_kept(self) -> None:
        source = self._open(write_passengers(self.folder)[".csv"]).source
        self.assertEqual(
            source.features.input.columns,
            (
                TableColumn("age", Number(whole=True)),
                TableColumn("fare", Number()),
                TableColumn("alone", Boolean()),
                TableColumn("port", Category()),
                TableColumn("name", Category()),
            ),
        )
        self.assertEqual(source.features.target.part_names, ("0", "1"))
        rows = source.read(np.arange(4))
        self.assertAllEqual(np.isnan(rows["numbers"][:, 0]), [0, 0, 1, 0])
        self.assertAllEqual(np.isnan(rows["numbers"][:, 1]), [0, 0, 0, 1])
        self.assertAllEqual(rows["numbers"][:, 2], [0, 1, 1, 0])
        self.assertAllEqual(rows["texts"][:, 0], ["S", "C", "S", ""])
        self.assertEqual(rows["texts"][2, 1], "Laina, Miss")
        self.assertEndsWith(source.describe(2), "passengers.csv, row 3")
        looked_up = source.lookup(tf.constant([3, 0]))
        self.assertAllEqual(looked_up["texts"][:, 0], [b"", b"S"])

    def test_statistics_are_of_the_rows_given_and_vocabularies_are_bounded(
        self,
    ) -> None:
        columns = (TableColumn("n", Number()), TableColumn("t", Category()))
        many = [f"{i % 300:03}" for i in range(600)] + ["common"] * 3 + ["", "once"]
        texts = np.array(many, object)[:, None]
        numbers = np.full((len(texts), 1), 2.0, np.float32)
        numbers[0], numbers[1] = np.nan, 8.0
        rows = {"numbers": numbers, "texts": texts}
        first, second = Table(columns).statistics(lambda: rows)["columns"]
        self.assertTrue(first["missing"])
        self.assertAllClose(first["mean"], np.nanmean(numbers))
        self.assertAllClose(first["std"], np.nanstd(numbers))
        self.assertTrue(second["missing"])
        self.assertLen(second["vocabulary"], 256)
        self.assertEqual(second["vocabulary"][:2], ["common", "000"])
        rows = {"numbers": numbers[2:]}
        (constant,) = Table(columns[:1]).statistics(lambda: rows)["columns"]
        self.assertEqual((constant["std"], constant["missing"]), (1.0, False))

    def _open_weighted(self, text: str) -> Dataset:
        path = self.folder / "weighted.csv"
        path.write_text(text)
        return open_dataset(
            DataConfig(
                dataset=str(path),
                target="y",
                weights="w",
                batch_size=4,
                split="0.5,0.25,0.25",
            )
        )

    def test_a_column_weighs_the_rows_of_training_and_is_no_input(self) -> None:
        lines = [f"{i % 2},{i},{i + 1}" for i in range(40)]
        text = "\n".join(["y,a,w", *lines])
        dataset = self._open_weighted(text)
        self.assertEqual([c.name for c in dataset.features.input.columns], ["a"])
        order = dataset.order(1)
        batches = list(dataset.training(order).batches(0).take(5))
        weights = np.concatenate([batch.weights for batch in batches])
        values = np.concatenate([batch.inputs["numbers"][:, 0] for batch in batches])
        self.assertAllClose(np.mean(weights), 1, rtol=1e-6)
        self.assertAllClose(weights / weights[0], (values + 1) / (values[0] + 1))
        (batch,) = dataset.evaluation("validation", 10).take(1)
        self.assertAllEqual(batch.weights, [1] * 10)
        doubled = self._open_weighted(text.replace("39,40", "39,80"))
        self.assertNotEqual(doubled.summary()["splits"], dataset.summary()["splits"])
        other = DataConfig(dataset=dataset.config.dataset, target="y", weights="w")
        self.assertIsNone(open_whole(other, dataset.features).source.weights)

    def test_weights_that_are_none_are_named(self) -> None:
        for cell, message in (
            ("0", "row 3: the weight 'w' is 0; expected a number above 0"),
            ("-1", "row 3: the weight 'w' is -1"),
            ("", "row 3: the weight 'w' is nan"),
            ("much", "the column of .* holds string; expected numbers"),
        ):
            with self.assertRaisesRegex(UserError, message):
                self._open_weighted(f"y,a,w\n0,1,1\n1,2,1\n0,3,{cell}\n1,4,1\n")
        with self.assertRaisesRegex(UserError, "--weights=w: .* has no such column"):
            self._open_weighted("y,a\n0,1\n1,2\n")

    def test_targets_of_reals_are_values(self) -> None:
        path = write_passengers(self.folder)[".csv"]
        text = Path(path).read_text().replace(",,", ",1,")
        Path(path).write_text(text)
        dataset = self._open(path, target="fare")
        self.assertEqual(dataset.features.target, Values(1))
        columns = dataset.features.input.columns
        self.assertNotIn("fare", [column.name for column in columns])
        self.assertEqual(dataset.source.read_targets(np.arange(40)).shape, (40, 1))

    def test_another_file_is_read_in_the_kinds_of_the_first(self) -> None:
        dataset = self._open(write_passengers(self.folder)[".csv"])
        other = self.folder / "other.csv"
        other.write_text("port,name,alone,fare,age,survived\n1,2,true,3,4,1\n" * 1)
        other.write_text(other.read_text() + "1,3,false,3,4,0\n")
        config = DataConfig(dataset=str(other), target="survived", batch_size=2)
        features = ExampleSpec.from_json(dataset.features.to_json())
        found = open_whole(config, features).source.read(np.arange(2))
        self.assertAllEqual(found["texts"], [["1", "2"], ["1", "3"]])
        other.write_text("port,name,alone,fare,age,survived\nS,a,true,3,old,1\n")
        other.write_text(other.read_text() + "S,b,true,3,4,0\n")
        with self.assertRaisesRegex(UserError, "column 'age' holds string.*'old'"):
            open_whole(config, features)
        other.write_text("port,name,alone,fare,survived\nS,a,true,3,1\nC,b,true,4,0\n")
        with self.assertRaisesRegex(UserError, "other.csv has no column 'age'"):
            open_whole(config, features)

    def test_dates_are_seconds_in_another_csv_too(self) -> None:
        path = self.folder / "days.csv"
        path.write_text("day,y\n2020-01-01,a\n2020-01-02,b\n2020-01-03,a\n")
        columns = tables.columns_of("days", tables.read_table("days", path), ["y"])
        self.assertEqual(columns, (TableColumn("day", Date()),))
        path.write_text("day\n1970-01-02\n")
        table = tables.read_table("days", path, columns)
        self.assertAllEqual(
            tables.rows_of("days", table, columns)["numbers"], [[86400]]
        )

    def test_wrong_tables_are_refused(self) -> None:
        refused = self._assert_refused
        rows = "1,2\n3,4\n"
        refused(f"x,y\n{rows}", "is a table: name the column", target=None)
        refused(
            f"x,price\n{rows}", "no such column .did you mean 'price'", target="prce"
        )
        refused("x,y\n1,2,3\n", "cannot be read .*Expected 2 columns, got 3")
        refused("", "cannot be read")
        refused("x,y\n", "has no rows")
        refused(f"y,y\n{rows}", "has the column 'y' twice")
        refused("x,y\n1,2\n1,\n1,3\n", "row 2: the target 'y' is missing, as in 1 rows")
        refused("x,y\n1,2\n3,2\n", "is 2 in all rows")
        refused("y\n1\n2\n", "has no columns beside y")
        refused("x,y\ninf,1\n2,2\n", "row 1: 'x' is not finite")
        refused("PAR1 cut off", "cannot be read", suffix="parquet")

    def test_a_target_belongs_to_a_table(self) -> None:
        with self.assertRaisesRegex(UserError, "digits is no table"):
            self._open("digits", target="label")


if __name__ == "__main__":
    tf.test.main()
