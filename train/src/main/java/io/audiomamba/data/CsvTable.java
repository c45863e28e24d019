package io.audiomamba.data;

import io.audiomamba.error.ConfigurationException;
import io.audiomamba.error.ParseProblem;
import io.audiomamba.file.WholeFile;
import java.io.ByteArrayOutputStream;
import java.io.CharConversionException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.Channels;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamWriteFeature;
import tools.jackson.core.exc.JacksonIOException;
import tools.jackson.databind.MappingIterator;
import tools.jackson.databind.SequenceWriter;
import tools.jackson.dataformat.csv.CsvMapper;
import tools.jackson.dataformat.csv.CsvReadFeature;
import tools.jackson.dataformat.csv.CsvSchema;
import tools.jackson.dataformat.csv.CsvWriteFeature;

/** CSV files (RFC 4180). Spaces around a field that is read do not count. */
public final class CsvTable {

    private static final CsvMapper CSV = CsvMapper.builder().enable(CsvReadFeature.TRIM_SPACES)
            .enable(CsvReadFeature.SKIP_EMPTY_LINES).enable(CsvWriteFeature.STRICT_CHECK_FOR_QUOTING).build();

    private CsvTable() {}

    /**
     * The rows, by column, of a file whose first line names its columns.
     *
     * @throws ConfigurationException if it cannot be read or lacks a column
     */
    public static List<Map<String, String>> read(Path file, String... columns) {
        return read(file, CsvSchema.emptySchema().withHeader(), columns);
    }

    /**
     * The rows, by column, of a file that has these columns but does not name them; lines that begin with # are left
     * out.
     *
     * @throws ConfigurationException if it cannot be read or lacks a column
     */
    static List<Map<String, String>> readWithoutHeader(Path file, String... columns) {
        CsvSchema.Builder schema = CsvSchema.builder().setAllowComments(true);
        Arrays.stream(columns).forEach(schema::addColumn);
        return read(file, schema.build(), columns);
    }

    /** Rows of strings and numbers as the content of a file, for {@link WholeFile}. */
    public static WholeFile.Content write(Stream<? extends List<?>> rows) {
        return channel -> {
            try (SequenceWriter writer = CSV.writer().without(StreamWriteFeature.AUTO_CLOSE_TARGET)
                    .writeValues(Channels.newOutputStream(channel))) {
                rows.forEach(writer::write);
            } catch (JacksonIOException e) {
                throw e.getCause();
            }
        };
    }

    /** Rows of strings and numbers as text. */
    public static String text(Stream<? extends List<?>> rows) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try {
            write(rows).writeTo(Channels.newChannel(bytes));
        } catch (IOException e) {
            throw new UncheckedIOException(e); // memory never refuses
        }
        return bytes.toString(StandardCharsets.UTF_8);
    }

    private static List<Map<String, String>> read(Path file, CsvSchema schema, String... columns) {
        if (!Files.exists(file)) {
            throw new ConfigurationException(file + ": there is no such file.");
        }
        try (MappingIterator<Map<String, String>> rows = CSV.readerForMapOf(String.class).with(schema)
                .readValues(file.toFile())) {
            List<Map<String, String>> all = rows.readAll();
            for (Map<String, String> row : all) {
                Arrays.stream(columns).filter(column -> row.get(column) == null).findFirst().ifPresent(column -> {
                    throw new ConfigurationException(file + ": the row " + String.join(",", row.values()) + " has no '"
                            + column + "'; the columns must be " + String.join(", ", columns) + ".");
                });
            }
            return all;
        } catch (JacksonIOException e) {
            if (e.getCause() instanceof CharConversionException) {
                throw new ConfigurationException(file + ": is not a CSV file in UTF-8.", e);
            }
            throw new ConfigurationException(file + ": cannot be read (" + e.getOriginalMessage() + ").", e);
        } catch (JacksonException e) {
            throw new ConfigurationException(file + ": is not a CSV file: " + ParseProblem.of(e) + ".", e);
        }
    }
}
