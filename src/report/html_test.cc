#include "report/html.h"

#include <gtest/gtest.h>

namespace trimma::html_test {
namespace {

TEST(HtmlTest, EscapesMarkupAndBothKindsOfQuotes) {
  EXPECT_EQ(Html("<b a=\"x\" c='y'>&</b>"),
            "&lt;b a=&quot;x&quot; c=&#39;y&#39;&gt;&amp;&lt;/b&gt;");
}

TEST(HtmlTest, ShowsWhatWouldBeInvisible) {
  EXPECT_EQ(Html("a\xE2\x80\xAE"
                 "b"),
            "a?b");  // right-to-left override
  EXPECT_EQ(Html("a\xE2\x80\x8B"
                 "b"),
            "a?b");  // zero-width space
  EXPECT_EQ(Html("a\n\x1B[1mb"), "a??[1mb");
  EXPECT_EQ(Html("a\xC2\x9B"
                 "b"),
            "a?b");  // a C1 control
}

TEST(HtmlTest, ReplacesInvalidUtf8AndKeepsTheRest) {
  EXPECT_EQ(Html("\xFFtr\xC3\xA4na\xC3"), "?tr\xC3\xA4na?");
}

TEST(HtmlTest, CutsAtACharacterAndNeverInsideAnEntity) {
  EXPECT_EQ(Html("&&&&&", 3), "&amp;&amp;&amp;...");
  EXPECT_EQ(Html("a\xC3\xA4\xC3\xA4", 4), "a\xC3\xA4...");
  EXPECT_EQ(Html(std::string(10'000, 'x'), 50).size(), 53U);
  EXPECT_EQ(Html("short", 50), "short");
}

}  // namespace
}  // namespace trimma::html_test
