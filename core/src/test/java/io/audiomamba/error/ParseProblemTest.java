package io.audiomamba.error;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.ObjectMapper;

class ParseProblemTest {

    private record Content(int number, List<String> names, List<Content> parts) {

        Content {
            if (number < 0) {
                throw new IllegalArgumentException("It is below 0");
            }
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '~', value = {
            "{] | Unexpected close marker ']': expected '}' (line 1, column 2)",
            "[] | Unexpected Array (line 1, column 1)",
            "{\"names\":3} | Unexpected Integer (line 1, column 10)",
            "{} {} | Something follows its end (line 1, column 4)",
            "{\"number\":\"one\"} | Unexpected String \"one\" (line 1, column 11)",
            "{\"number\":-1} | It is below 0 (line 1, column 13)",
            "{\"number\":null} | Unexpected null (line 1, column 11)",
            "{\"parts\":[\"x\"]} | Unexpected String (line 1, column 11)",
            "{\"names\":[1 | Unexpected end-of-input: expected close marker for Array (line 1, column 12)"})
    void namesNoClassesAndNoSettings(String text, String problem) {
        JacksonException e = catchThrowableOfType(JacksonException.class,
                () -> new ObjectMapper().readValue(text, Content.class));
        assertThat(ParseProblem.of(e)).isEqualTo(problem);
    }
}
