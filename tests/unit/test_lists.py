"""S3's lists of objects and of versions: what they say, and that anything else is refused."""

import pytest

from applier.s3.lists.read_lists import read_listed_page, read_object_page, read_version_list
from applier.s3.protocol import normalized_etag
from schemas.s3_location import ListedObject

MD5 = "d8e8fca2dc0f896fd7cb4cb0031ba249"
PAGE = """<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><EncodingType>url</EncodingType>
<IsTruncated>true</IsTruncated><NextContinuationToken>to/ken==</NextContinuationToken>
<Contents><Key>a+b%2Bc%0A%C3%A4.raw</Key><ETag>&quot;{md5}-2&quot;</ETag><Size>7</Size></Contents>
<Contents><Key>b</Key><Size>0</Size></Contents></ListBucketResult>""".replace("{md5}", MD5)


def test_a_page_should_be_read_with_its_keys_decoded() -> None:
    page = read_object_page(PAGE.encode())
    assert page.objects == (ListedObject("a b+c\nä.raw", f"{MD5}-2", 7), ListedObject("b", "", 0))
    assert page.next_token == "to/ken=="  # of a list


@pytest.mark.parametrize("said", ["", "<EncodingType/>", "<EncodingType></EncodingType>"])
def test_keys_should_stay_as_they_are_where_they_are_not_encoded(said: str) -> None:
    page = PAGE.replace("<EncodingType>url</EncodingType>", said).encode()
    assert read_object_page(page).objects[0].key == "a+b%2Bc%0A%C3%A4.raw"
    assert ("a+b%2Bc%0A%C3%A4.raw", None) in read_listed_page(page, normalized_etag).objects


@pytest.mark.parametrize("said", ["<encodingType>url</encodingType>", "<EncodingType> URL </EncodingType>"])
def test_keys_should_be_decoded_however_it_is_written_that_they_are_encoded(said: str) -> None:
    """As old versions of Apache Ozone write it."""
    page = PAGE.replace("<EncodingType>url</EncodingType>", said).encode()
    assert read_object_page(page).objects[0].key == "a b+c\nä.raw"
    assert ("a b+c\nä.raw", None) in read_listed_page(page, normalized_etag).objects


def test_the_last_page_should_have_no_token() -> None:
    last = PAGE.replace("<IsTruncated>true", "<IsTruncated>false").replace("to/ken==", "")
    assert read_object_page(last.encode()).next_token is None
    assert read_object_page(b"<ListBucketResult/>").objects == ()


@pytest.mark.parametrize("said", ["true", "True", "TRUE", "1", "false", "0", ""])
def test_a_page_with_a_token_should_go_on_however_it_says_so(said: str) -> None:
    page = PAGE.replace("<IsTruncated>true", f"<IsTruncated>{said}")
    assert read_object_page(page.encode()).next_token == "to/ken=="


def test_an_empty_page_should_be_the_last_one_where_it_says_so() -> None:
    fields = "<IsTruncated>false</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
    assert read_object_page(f"<ListBucketResult>{fields}</ListBucketResult>".encode()).next_token is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>",
        PAGE[:-30],
        "<Error><Code>AccessDenied</Code></Error>",
        PAGE.replace("<Size>7</Size>", "<Size>-7</Size>"),
        PAGE.replace("<Size>7</Size>", f"<Size>{'9' * 5000}</Size>"),
        PAGE.replace("<Key>b</Key>", ""),
        PAGE.replace("<NextContinuationToken>to/ken==</NextContinuationToken>", ""),
        PAGE.replace("to/ken==", ""),
        PAGE.replace("to/ken==", "").replace("<IsTruncated>true", "<IsTruncated>1"),
        PAGE.replace("<IsTruncated>true", "<IsTruncated>yes"),
        "<!DOCTYPE x [<!ENTITY a 'b'>]><ListBucketResult/>",
        "<ListBucketResult>" + "<a>" * 200_000 + "</a>" * 200_000 + "</ListBucketResult>",
        "<?xml version='1.0' encoding='x-unheard-of'?><ListBucketResult/>",
    ],
)
def test_anything_else_should_be_refused(text: str) -> None:
    with pytest.raises(ValueError, match="it "):
        read_object_page(text.encode())


@pytest.mark.parametrize("text", ["<ListBucketResult/>", "<Error><Code>AccessDenied</Code></Error>"])
def test_a_list_of_something_else_should_not_be_taken_for_an_object_without_versions(text: str) -> None:
    with pytest.raises(ValueError, match="it is not a list of versions"):
        read_version_list(text.encode(), "a")


def test_entities_should_be_refused_in_every_encoding() -> None:
    for encoding in ("utf-16", "utf-16-be", "utf-16-le"):
        text = "<?xml version='1.0' encoding='UTF-16'?><!DOCTYPE x [<!ENTITY a 'b'>]><ListBucketResult/>"
        with pytest.raises(ValueError, match="entities"):
            read_object_page(text.encode(encoding))


@pytest.mark.parametrize("time", ["", "Sat, 01 Mar 2025 14:02:00 GMT", "1740837720", "2025-02-30T00:00:00Z"])
def test_versions_should_be_listed_in_s3s_order_where_their_times_cannot_be_read(time: str) -> None:
    versions = "".join(
        f"<Version><Key>a</Key><VersionId>{name}</VersionId><LastModified>{time}</LastModified></Version>"
        for name in ("new", "older", "oldest")
    )
    found = read_version_list(f"<ListVersionsResult>{versions}</ListVersionsResult>".encode(), "a")
    assert [(one.version_id, one.last_modified) for one in found] == [("new", None), ("older", None), ("oldest", None)]
